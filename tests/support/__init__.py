"""What tests share: fixtures, factories, servers, and steps."""
