"""What the path costs: throughput, latency, memory and paging, as ratios within one run on one machine."""
