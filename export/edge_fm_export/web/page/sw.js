/* Keeps this page in the browser: every file as edgefm.json lists it, checked by its SHA-256 as it is stored, and served
   from there. A new export has another version and other hashes; it takes over once all windows of the page are closed. */

const { version: VERSION, files: FILES, later: LATER } = "EDGEFM_FILES";
const KEPT_HEADERS = [
  "Content-Type", "Cross-Origin-Opener-Policy", "Cross-Origin-Embedder-Policy", "Cross-Origin-Resource-Policy", "Content-Security-Policy",
];
const PREFIX = `edgefm ${self.registration.scope} `;
const CACHE = PREFIX + VERSION;

const url = (name) => new URL(name, self.registration.scope).href;
const byAddress = new Map([...Object.entries({ ...FILES, ...LATER })].map(([name, integrity]) => [url(name), integrity]));
byAddress.set(url(""), FILES["index.html"]);

async function store(cache, name, integrity) {
  if (await cache.match(url(name))) return;
  const response = await fetch(url(name), { cache: "no-cache", ...(integrity ? { integrity } : {}) });
  if (!response.ok) throw new Error(`${name}: status ${response.status}`);
  // As it would come from the host itself: without a redirect, which no navigation takes, and without headers on how it
  // was transferred.
  const headers = new Headers(KEPT_HEADERS.filter((one) => response.headers.has(one)).map((one) => [one, response.headers.get(one)]));
  await cache.put(url(name), new Response(await response.blob(), { headers }));
}

self.addEventListener("install", (event) => {
  event.waitUntil((async () => {
    const cache = await caches.open(CACHE);
    await Promise.all(Object.entries(FILES).map(([name, integrity]) => store(cache, name, integrity)));
  })());
});

self.addEventListener("activate", (event) => {
  event.waitUntil((async () => {
    const old = (await caches.keys()).filter((name) => name.startsWith(PREFIX) && name !== CACHE);
    await Promise.all(old.map((name) => caches.delete(name)));
    await self.clients.claim();
  })());
});

/* The files for WebGPU are large and seldom used: they are kept once a page has run on it. */
self.addEventListener("message", (event) => {
  if (event.data?.used !== "webgpu") return;
  event.waitUntil(caches.open(CACHE).then((cache) =>
    Promise.all(Object.entries(LATER).map(([name, integrity]) => store(cache, name, integrity))).catch(() => {})));
});

self.addEventListener("fetch", (event) => {
  const { request } = event;
  const address = request.url.replace(/[?#].*$/, "");
  if (request.method !== "GET" || !byAddress.has(address)) return;
  event.respondWith((async () => {
    const cache = await caches.open(CACHE);
    const name = address === url("") ? url("index.html") : address;
    return (await cache.match(name)) ?? fetch(request);
  })());
});
