{ kind: "Deployment" }
