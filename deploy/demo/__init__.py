"""The demo's synthetic season, the program that makes it, and a converter for another format."""
