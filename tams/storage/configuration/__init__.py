"""The storage backends that the settings describe."""
