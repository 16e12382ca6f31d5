"""Access to the store: users, tokens, authorization, and reads restricted by access classes."""
