"""gitml measured against DVC, Snakemake, doit and make: the same pipelines, in the same run, on the same machine."""
