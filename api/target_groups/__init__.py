"""Target groups: whom to reach. Static ones have members by hand or by import."""
