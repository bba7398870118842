"""What the user names becomes files: folders, lists, archives and addresses."""
