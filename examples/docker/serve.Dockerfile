# `adbench serve` on the CPU, as a user without rights. From the root of the repository:
#   docker build -f examples/docker/serve.Dockerfile -t adbench-serve .
#   docker run --rm -p 8000:8000 -e ADBENCH_TOKEN=... -v "$PWD/bolt.adbench:/detectors/bolt.adbench:ro" adbench-serve
# On a GPU: --build-arg BASE=<an image with Python and CUDA> --build-arg TORCH_INDEX=<the index of its torch>
ARG BASE=python:3.11-slim
FROM ${BASE}

ARG TORCH_INDEX=https://download.pytorch.org/whl/cpu
RUN pip install --no-cache-dir --index-url ${TORCH_INDEX} torch torchvision
COPY . /source
RUN pip install --no-cache-dir "/source[onnxruntime,openvino]" /source/plugins/adbench-memory \
        /source/plugins/adbench-gaussian /source/plugins/adbench-reconstruction /source/plugins/adbench-timm \
        /source/plugins/adbench-serve \
    && rm -rf /source \
    && useradd --create-home --uid 10001 adbench

USER adbench
WORKDIR /home/adbench
EXPOSE 8000
HEALTHCHECK --interval=10s --start-period=60s CMD ["python", "-c", \
    "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=5)"]
ENTRYPOINT ["adbench", "serve", "--host", "0.0.0.0", "--port", "8000"]
CMD ["/detectors/bolt.adbench"]
