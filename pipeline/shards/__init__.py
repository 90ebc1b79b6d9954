"""Read source shards and write output shards, on any store that fsspec knows."""
