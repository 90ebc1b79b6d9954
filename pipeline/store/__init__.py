"""All state of a run, as files: catalog, steps, fitted states, output."""
