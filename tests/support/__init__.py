"""Private servers and fakes that the tests stand on."""
