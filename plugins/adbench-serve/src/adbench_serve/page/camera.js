// The camera: a video while it is on, and a picture of it as a file.
const REFUSED = new Map([
  ["NotAllowedError", "The browser refuses the camera. Allow it for this page in the browser's settings, or choose an image."],
  ["NotFoundError", "The browser finds no camera. Connect one, or choose an image."],
  ["NotReadableError", "Another program uses the camera. Close that program, or choose an image."],
]);
const INSECURE = "Browsers give the camera only to pages from https or from this machine. Choose an image, or open the page by https.";

// Switch the camera on or off: whether it is on then, and a sentence where the browser refuses it.
export async function toggleCamera(video) {
  if (video.srcObject) {
    stopCamera(video);
    return [false, ""];
  }
  if (!navigator.mediaDevices) return [false, INSECURE];
  try {
    const wanted = { facingMode: "environment", width: { ideal: 1920 } };
    video.srcObject = await navigator.mediaDevices.getUserMedia({ video: wanted });
    await video.play();
    return [true, ""];
  } catch (error) {
    stopCamera(video);
    return [false, REFUSED.get(error.name) ?? `The camera does not start (${error.message}). Choose an image.`];
  }
}

export function stopCamera(video) {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}

// What the camera shows now, as a PNG file.
export async function pictureOf(video) {
  const canvas = Object.assign(document.createElement("canvas"), { width: video.videoWidth, height: video.videoHeight });
  canvas.getContext("2d").drawImage(video, 0, 0);
  const content = await new Promise((done) => { canvas.toBlob(done, "image/png"); });
  return new File([content], `camera-${new Date().toISOString().replace(/[:.]/g, "-")}.png`);
}
