"""Imports: CSV files on their way into contacts. The api takes them in; the dispatcher reads them."""
