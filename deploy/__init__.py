"""What surrounds the product on one machine: real servers for tests, the demo's data, benches, `make up`."""
