"""Code that tests share: fixtures, factories, servers and steps."""
