# For a classroom: JupyterLab with the notebooks, PyTorch for CPUs, weights and slices inside. The build needs
# a network; a container needs none (docker save and docker load carry the image to where there is none).
#   docker build -t brain_tumor_nb .
#   docker run --rm -p 127.0.0.1:8888:8888 -v work:/home/student/brain_tumor_nb brain_tumor_nb
# It prints the address to open; -e JUPYTER_TOKEN=… chooses the token in it. The volume `work` holds the notebooks
# as the student leaves them; with a new name it starts from the image's again. Solutions of the labs are left out
# (.dockerignore). To grade in a container: --build-arg EXTRAS=offline,labs,grade (labs/teacher.md).
FROM python:3.11-slim
RUN useradd --create-home --uid 1000 student && python -m venv /opt/venv
ENV PATH=/opt/venv/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /home/student/brain_tumor_nb
# the largest layer first: it is kept as long as these files are
COPY settings.ini constraints.txt ./
COPY tools/torch_cpu.py tools/
RUN python tools/torch_cpu.py --constraints constraints.txt
COPY . .
ARG EXTRAS=offline,labs
RUN pip install -c constraints.txt -e ".[$EXTRAS]" && chown -R student: /home/student
USER 1000
VOLUME /home/student/brain_tumor_nb
EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--no-browser", "--ServerApp.root_dir=/home/student/brain_tumor_nb", "--LabApp.default_url=/lab/tree/nbs/tutorial.ipynb"]
