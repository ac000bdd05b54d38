"""Programs that test whole deployments: chaos, soak, compose, fuzz. Not part of the package."""
