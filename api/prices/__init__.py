"""What a segment to each country costs, by the operator's own table."""
