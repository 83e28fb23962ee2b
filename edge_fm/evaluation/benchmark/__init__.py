"""What artifacts cost beside the original: measurement, statistics and page."""
