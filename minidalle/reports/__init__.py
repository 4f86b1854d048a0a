"""Pages that a person reads: a run's report, a caption's way through the pipeline. Each is one HTML file."""
