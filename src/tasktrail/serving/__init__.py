"""What every HTTP server of Tasktrail stands behind: the guard, the token, and which addresses may be served."""
