// A file of its own: the page allows no inline script.
window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger",
  deepLinking: true,
  displayRequestDuration: true,
  // The default asks a public server to judge the schema; this page talks to nobody but its own origin.
  validatorUrl: null,
});
