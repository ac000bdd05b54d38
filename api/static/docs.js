// The API's docs page: Swagger UI over the service's own OpenAPI document, asking no other host.

window.SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  displayRequestDuration: true,
  defaultModelsExpandDepth: 0,
  validatorUrl: null, // the default would send the document to a validator elsewhere
});
