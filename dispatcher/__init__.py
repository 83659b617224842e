"""The dispatcher: moves messages along the path, from due campaigns to settled receipts.

The only writer of a message's status. Imports `shared`, never `api`.
"""
