"""What runs in the sandbox: a warm process that has imported torch but no answer, and a fresh one for each question."""
