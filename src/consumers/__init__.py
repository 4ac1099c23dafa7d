"""One job: how it arrives, is judged and is settled."""
