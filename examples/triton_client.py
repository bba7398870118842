"""Score photographs on a Triton server that serves a repository of `dgqa-infer export --triton`.

    pip install 'dgqa-infer' 'tritonclient[grpc]'
    python triton_client.py --model dgqa-lite0-onnx photo.jpg …

The server batches and computes; decoding and cropping happen here, as the model's own parameters on the
server say.
"""

from __future__ import annotations

import argparse
import json

import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput

from dgqa_infer.bundle.preprocessing import Preprocessing
from dgqa_infer.images.crops import crops
from dgqa_infer.images.decode import decode


def main() -> None:
    """Send each photograph's crops, and print a row for it."""
    parser = argparse.ArgumentParser(description="Score photographs on a Triton server.")
    parser.add_argument("photos", nargs="+")
    parser.add_argument("--model", required=True)
    parser.add_argument("--url", default="localhost:8001")
    chosen = parser.parse_args()

    with InferenceServerClient(chosen.url) as client:
        config = client.get_model_config(chosen.model, as_json=True)["config"]
        says = {name: value["string_value"] for name, value in config["parameters"].items()}
        way = Preprocessing.from_card(json.loads(says["preprocessing"]))
        calibration = json.loads(says["calibration"])
        for photo in chosen.photos:
            cut, _ = crops(decode(photo).pixels, way)
            pixels = InferInput("crops", list(cut.shape), "UINT8")
            pixels.set_data_from_numpy(cut)
            answer = client.infer(chosen.model, [pixels], outputs=[InferRequestedOutput("quality")])
            raw = float(answer.as_numpy("quality").mean(dtype=np.float64))
            score = float(np.interp(raw, calibration["raw"], calibration["score"]))
            print(json.dumps({"path": photo, "score": score, "raw": raw, "model": chosen.model}))


if __name__ == "__main__":
    main()
