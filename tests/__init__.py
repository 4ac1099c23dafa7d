"""The tests: what each rule of the product is held to."""
