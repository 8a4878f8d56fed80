// What is the same wherever it runs. What a place decides for itself comes from its FORKSAFE_* variables.
export default {
  script: 'app.js',
  name: 'shop',
  workers: 'max', // one for each CPU of the container's limit
}
