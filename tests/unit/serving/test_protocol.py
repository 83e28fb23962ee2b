"""The Open Inference Protocol: its endpoints, its errors, and results that are those of `predict_pixels`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from running_server import Running, needs_server, running

from edge_fm import Classifier, __version__

pytestmark = needs_server
MODEL = "edgenet-s-onnx-int8"
INFER = f"/v2/models/{MODEL}/infer"
LABELS = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"]


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(MODEL, f"other@2={MODEL}", f"other@10={MODEL}") as found:
        yield found


@pytest.fixture(scope="module")
def pixels() -> Any:
    return np.random.default_rng(0).integers(0, 256, (1000, 28, 28, 1), dtype=np.uint8)


def request(**changes: Any) -> dict[str, Any]:
    entry = {"name": "image", "shape": [1, 28, 28, 1], "datatype": "UINT8", "data": [7] * 784} | changes
    return {"inputs": [{key: value for key, value in entry.items() if value is not None}]}


def test_health_and_metadata(server: Running) -> None:
    assert server.ask("GET", "/v2/health/live") == (200, {"live": True})
    assert server.ask("GET", "/v2/health/ready") == (200, {"ready": True})
    extensions = ["binary_tensor_data", "classification"]
    assert server.ask("GET", "/v2") == (200, {"name": "edgefm", "version": __version__, "extensions": extensions})
    assert server.ask("GET", "/v2/models") == (200, {"models": [MODEL, "other"]})
    status, index = server.ask("POST", "/v2/repository/index")
    assert status == 200
    assert [(one["name"], one["version"], one["state"]) for one in index] == [
        (MODEL, "1", "READY"),
        ("other", "2", "READY"),
        ("other", "10", "READY"),
    ]


@pytest.mark.parametrize("path", ["/v2/models/other", "/v2/models/other/versions/2"])
def test_a_model_describes_itself(server: Running, path: str) -> None:
    status, found = server.ask("GET", path)
    assert status == 200 and found["name"] == "other" and found["versions"] == ["2", "10"]
    assert found["platform"] == "edgefm_onnx"
    assert found["inputs"] == [{"name": "image", "datatype": "UINT8", "shape": [-1, 28, 28, 1]}]
    assert found["outputs"] == [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]}]
    assert found["parameters"]["labels"] == LABELS and found["parameters"]["precision"] == "int8"
    assert server.ask("GET", f"{path}/ready") == (200, {"name": "other", "ready": True})


def test_the_highest_version_is_taken_where_none_is_named(server: Running) -> None:
    for path, version in (("/v2/models/other", "10"), ("/v2/models/other/versions/2", "2")):
        status, found = server.ask("POST", f"{path}/infer", json.dumps(request() | {"id": "a7"}))
        assert status == 200 and (found["model_version"], found["id"]) == (version, "a7")


@pytest.mark.parametrize("nested", [False, True])
def test_json_tensors_give_the_probabilities_of_predict_pixels(server: Running, pixels: Any, nested: bool) -> None:
    batch = pixels[:3]
    data = batch.tolist() if nested else batch.ravel().tolist()
    status, found = server.ask("POST", INFER, json.dumps(request(shape=[3, 28, 28, 1], data=data)))
    assert status == 200 and found["model_name"] == MODEL and "id" not in found
    (output,) = found["outputs"]
    assert (output["name"], output["datatype"], output["shape"]) == ("probabilities", "FP32", [3, 10])
    with Classifier.load(MODEL) as classifier:
        expected = classifier.predict_pixels(batch)
    np.testing.assert_array_equal(np.array(output["data"], np.float32).reshape(3, 10), expected)


@pytest.mark.needs("tritonclient")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_client_of_the_protocol_gets_bit_identical_probabilities(server: Running, pixels: Any) -> None:
    from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
    from tritonclient.utils import InferenceServerException

    client = InferenceServerClient(server.address)
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready(MODEL)
    assert not client.is_model_ready("none")
    assert {one["name"] for one in client.get_model_repository_index()} == {MODEL, "other"}
    assert client.get_server_metadata()["name"] == "edgefm"
    (described,) = client.get_model_metadata(MODEL)["inputs"]
    compared = 0
    with Classifier.load(MODEL) as classifier:
        for batch in (1, 8, 125):
            for start in range(0, len(pixels), 3 * batch if batch == 1 else batch):
                part = pixels[start : start + batch]
                given = InferInput(described["name"], list(part.shape), described["datatype"])
                binary = start % 2 == 0
                given.set_data_from_numpy(part, binary_data=binary)
                wanted = None if start % 3 else [InferRequestedOutput("probabilities", binary_data=not binary)]
                result = client.infer(MODEL, [given], outputs=wanted).as_numpy("probabilities")
                np.testing.assert_array_equal(result, classifier.predict_pixels(part))
                compared += len(part)
    assert compared == 334 + 1000 + 1000
    best = client.infer(MODEL, [given], outputs=[InferRequestedOutput("probabilities", class_count=2)])
    score, index, label = best.as_numpy("probabilities")[0, 0].decode().split(":")
    assert label == LABELS[int(index)] and abs(float(score) - result[0].max()) < 1e-6
    with pytest.raises(InferenceServerException, match="There is no model 'none'"):
        client.infer("none", [given])


WRONG: dict[str, tuple[Any, str]] = {
    "no JSON": ("{", "The body is not JSON"),
    "a list": ([], "supported is an object"),
    "no inputs": ({}, "`inputs` is not a list of objects"),
    "two inputs": ({"inputs": [{"name": "image"}, {"name": "mask"}]}, "one input, 'image'"),
    "another input": (request(name="pixels"), r"\['pixels'\]; the model has one input, 'image'"),
    "another type": (request(datatype="FP32"), "the datatype 'FP32'; the model takes UINT8"),
    "no batch": (request(shape=[28, 28, 1]), r"shape \[28, 28, 1\]; the model takes UINT8 \[N, 28, 28, 1\]"),
    "another size": (request(shape=[1, 32, 32, 1]), r"shape \[1, 32, 32, 1\]"),
    "an empty batch": (request(shape=[0, 28, 28, 1], data=[]), r"shape \[0, 28, 28, 1\]"),
    "a shape of truth values": (request(shape=[True, 28, 28, 1]), "shape"),
    "too few": (request(data=[1, 2]), "not 784 whole numbers"),
    "fractions": (request(data=[0.5] * 784), "not 784 whole numbers"),
    "truth values": (request(data=[True] * 784), "not 784 whole numbers"),
    "ragged": (request(data=[[1], [1, 2]]), "ragged"),
    "no data": (request(data=None), "not 784 whole numbers"),
    "negative": (request(data=[-1] * 784), "values of -1 to -1; UINT8 is 0 to 255"),
    "too large": (request(data=[256] * 784), "UINT8 is 0 to 255"),
    "too large for any integer": (request(data=[1 << 70] * 784), "not 784 whole numbers"),
    "both": (request(parameters={"binary_data_size": 784}), "both `data` and `binary_data_size`"),
    "no bytes": (request(data=None, parameters={"binary_data_size": 784}), "0 bytes follow the JSON"),
    "another output": (request() | {"outputs": [{"name": "logits"}]}, "one output, 'probabilities'"),
    "an id": (request() | {"id": 3}, "`id` is text"),
    "binary": (request() | {"parameters": {"binary_data_output": 1}}, "true or false"),
    "parameters": (request() | {"parameters": []}, "`parameters` is not an object"),
    "classes": (
        request() | {"outputs": [{"name": "probabilities", "parameters": {"classification": -1}}]},
        "whole number of classes",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_not_the_protocol_is_refused(server: Running, case: str) -> None:
    given, message = WRONG[case]
    status, found = server.ask("POST", INFER, given if isinstance(given, str) else json.dumps(given))
    assert status == 400 and list(found) == ["error"]
    assert re.search(message, found["error"]), found


@pytest.mark.parametrize("header", ["-1", "99999", "x", "1e3", "٣"])
def test_a_wrong_count_of_json_bytes_is_refused(server: Running, header: str) -> None:
    status, found = server.ask(
        "POST", INFER, "{}", {"Inference-Header-Content-Length": header.encode("utf-8").decode("latin-1")}
    )
    assert status == 400 and "Inference-Header-Content-Length" in found["error"]


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/v1", 404, "There is no /v1; the models are listed at /v2/models."),
        ("GET", "/v2/models/none", 404, f"There is no model 'none'; there are: {MODEL}, other."),
        ("GET", "/v2/models/other/versions/3", 404, "There is no version '3' of other; there are: 2, 10."),
        ("POST", "/v2/models/none/infer", 404, "There is no model 'none'"),
        ("GET", INFER, 405, f"{INFER} does not take GET; supported is POST."),
        ("DELETE", "/v2", 405, "/v2 does not take DELETE; supported is GET and HEAD."),
    ],
)
def test_an_address_that_is_not_there(server: Running, method: str, path: str, status: int, message: str) -> None:
    got, found = server.ask(method, path)
    assert got == status and found["error"].startswith(message)


def test_requests_are_counted(server: Running) -> None:
    status, before = server.ask("GET", "/metrics")
    server.ask("POST", INFER, json.dumps(request()))
    server.ask("POST", "/v2/models/none/infer", "{}")
    _, after = server.ask("GET", "/metrics")
    for line in (
        f'edgefm_requests_total{{endpoint="infer",model="{MODEL}",status="200"}}',
        'edgefm_requests_total{endpoint="infer",model="",status="404"}',
    ):
        assert count(after, line) == count(before, line) + 1
    assert status == 200 and count(after, "edgefm_requests_in_hand") == 0


def count(metrics: bytes, line: str) -> float:
    found = [row for row in metrics.decode().splitlines() if row.startswith(line)]
    return float(found[0].rpartition(" ")[2]) if found else 0.0
