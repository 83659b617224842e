"""The tags that texts may hold."""
