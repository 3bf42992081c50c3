#pragma once
/* `signalbox schema`: prints the JSON Schema of all messages, or the OpenAPI description of the HTTP paths. Returns the
 * exit status. */
int schema_main(int argc, char **argv);
