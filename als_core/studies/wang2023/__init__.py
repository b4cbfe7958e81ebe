"""Wang 2023: heatmaps of Alzheimer networks against SVM patterns and a reference map."""
