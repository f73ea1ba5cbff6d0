"""The same question put through each client: `python -m bench.clients.NAME base_url concurrency count`."""
