"""An HTTP server for artifacts: the Open Inference Protocol (KServe v2) and photos.

`snapshot` copies, checks and opens an artifact; `models` holds what is served and swaps it; `batching` puts waiting
images through the engine together; `admission` bounds what waits; `tensors` reads and writes the protocol's bodies;
`routes_*` are the endpoints; `application` puts them together; `server` runs it all.
"""
