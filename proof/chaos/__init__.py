"""What is done to the service on purpose, one module a kind of harm, each judged by the three ledgers."""
