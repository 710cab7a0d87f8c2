"""HTTP without I/O: request heads and targets, conditional and range requests, cookies, forms, problem documents, event streams."""
