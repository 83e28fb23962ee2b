"""Photos: accuracy, decoding and throughput."""
