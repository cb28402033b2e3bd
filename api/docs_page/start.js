// A file of its own: the content policy lets no script run that stands in the page.
SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#docs",
  deepLinking: true,
  validatorUrl: null, // the default asks a server elsewhere
  tryItOutEnabled: true,
});
