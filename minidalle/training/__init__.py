"""One loop for every stage, and the stages: tokenizer, VQGAN, BART. Import from the modules."""
