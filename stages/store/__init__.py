"""The only readers and writers: Zarr stores, artifacts and their manifests."""
