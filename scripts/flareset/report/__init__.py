"""The page that shows a campaign: one HTML file made from tables, without script or network.

`facts` reads the tables. `charts` draws them as SVG in the page's colours, `pictures` makes
thumbnails of images, and `words` writes the findings. `page` fills the templates with all of this.
"""
