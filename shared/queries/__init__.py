"""Only the SQL that both processes ask."""
