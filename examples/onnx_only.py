"""Score a photograph with the lone model.onnx: onnxruntime, numpy and pillow, nothing of dgqa-infer.

    python onnx_only.py model.onnx photo.jpg

The graph says in its metadata how a photograph becomes crops, and how its quality becomes a score.
Photographs in other colour spaces than sRGB should be converted first; dgqa-infer does. Here all are decoded
at their full size and shrunk by Pillow, which moves the score of a large JPEG a little.
"""

import json
import sys

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

model, photo = sys.argv[1:]
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
says = session.get_modelmeta().custom_metadata_map
way, calibration = json.loads(says["preprocessing"]), json.loads(says["calibration"])

image = ImageOps.exif_transpose(Image.open(photo)).convert("RGB")
resampling = Image.Resampling[way["filter"].upper()]
if min(image.size) > way["short_side"]:
    scale = way["short_side"] / min(image.size)
    image = image.resize((round(image.width * scale), round(image.height * scale)), resampling)
side = min(way["crop"], *image.size)
right, bottom = image.width - side, image.height - side
grids = {
    1: [(0.5, 0.5)],
    5: [(0, 0), (1, 0), (0, 1), (1, 1), (0.5, 0.5)],
    9: [(x / 2, y / 2) for y in range(3) for x in range(3)],
}
corners = [(round(x * right), round(y * bottom)) for x, y in grids[way["grid"]]]
crops = [image.crop((x, y, x + side, y + side)).resize((way["crop"],) * 2, resampling) for x, y in corners]

(quality,) = session.run(["quality"], {"crops": np.stack([np.asarray(crop) for crop in crops])})
raw = float(quality.mean(dtype=np.float64))
score = float(np.interp(raw, calibration["raw"], calibration["score"]))
print(json.dumps({"path": photo, "score": score, "raw": raw, "model": says["name"]}))
