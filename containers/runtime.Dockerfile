# The runtime: classifies photos with an artifact, without TensorFlow.
# Other engines and photo formats: --build-arg EXTRAS=openvino,heif
#
#   docker build -f containers/runtime.Dockerfile -t edgefm .
#   docker run --rm --read-only --tmpfs /tmp --network none -v "$PWD/photos:/photos:ro" edgefm infer /photos --recursive
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
ARG EXTRAS=
WORKDIR /source
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY edge_fm edge_fm
COPY export export
COPY runtime runtime
RUN python3 -m venv /opt/edgefm && /opt/edgefm/bin/pip install --no-cache-dir --constraint constraints.txt ".${EXTRAS:+[${EXTRAS}]}"

FROM ${BASE}
COPY --from=build /opt/edgefm /opt/edgefm
# Nothing outside of /tmp is written; without a --tmpfs there, caches are left out.
ENV PATH=/opt/edgefm/bin:$PATH HOME=/tmp PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /tmp
# For containers that stay: the model that infer takes (EDGEFM_MODEL, else the packaged one) still predicts as proven.
HEALTHCHECK --interval=5m --timeout=1m --start-period=10s CMD ["edgefm", "verify", "--quiet"]
ENTRYPOINT ["edgefm"]
CMD ["doctor"]
