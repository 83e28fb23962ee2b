# `edgefm serve`: artifacts over HTTP, the Open Inference Protocol.
# Other engines and photo formats: --build-arg EXTRAS=serve,openvino,heif
#
#   docker build -f containers/serve.Dockerfile -t edgefm-serve .
#   docker run --rm --read-only --tmpfs /tmp -p 127.0.0.1:8000:8000 -v "$PWD/artifacts:/artifacts:ro" edgefm-serve /artifacts/clothes
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG EXTRAS=serve
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY edge_fm edge_fm
COPY export export
COPY runtime runtime
RUN python3 -m venv /opt/edgefm && /opt/edgefm/bin/pip install --no-cache-dir --constraint constraints.txt ".[${EXTRAS}]"

FROM ${BASE}
COPY --from=build /opt/edgefm /opt/edgefm
# Artifacts are copied to /tmp before they are proven and served.
ENV PATH=/opt/edgefm/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /tmp
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["python3", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/v2/health/ready', timeout=4)"]
ENTRYPOINT ["edgefm", "serve", "--host", "0.0.0.0", "--port", "8000"]
CMD ["efficientnet-lite0-onnx-int8"]
