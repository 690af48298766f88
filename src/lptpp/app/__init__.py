"""`lptpp app`: a local web page that explains the predictions of a run (docs/app.md)."""
