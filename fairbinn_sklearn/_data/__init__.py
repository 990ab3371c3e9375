"""What users pass to fit, checked and encoded as batches."""
