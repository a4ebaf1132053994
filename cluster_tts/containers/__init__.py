"""What audio files say of themselves, read from their bytes: what they are, whether they are whole. No decoder.

libsndfile, which decodes, is silent where a file is cut or goes on after its stated end; these are not. What is visibly
cut or without a sample raises ``RetryLater`` here.
"""
