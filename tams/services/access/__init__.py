"""Who may see and change what: users, tokens, authorization, and reads restricted by access classes."""
